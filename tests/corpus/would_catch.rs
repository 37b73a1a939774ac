//! The runner would catch what it is there to catch, and says where.

use crate::{play::play, script::parse};

const RIGHT: &str = "\
## A page is reused while it is fresh [RFC 9111 4.2]
rules: default-ttl=60s
GET /; accept: text/html
> GET /; accept: text/html; !if-none-match
< 200 \"one\"; etag: \"a\"
< content-type: text/html; charset=utf-8
= 200 \"one\" fwd=uri-miss stored !hit; etag: \"a\"; !age
+59s
GET /
= 200 \"one\" hit; age: 59; content-type: text/html
";

async fn fault(text: &str) -> Option<(String, String)> {
    let found = match parse("would_catch", text) {
        Ok(scenarios) => play(&scenarios[0]).await.err(),
        Err(fault) => Some(fault),
    };
    found.map(|fault| (fault.at.rsplit(':').next().unwrap_or_default().to_owned(), fault.what))
}

#[tokio::test(start_paused = true)]
async fn a_step_that_does_not_come_true_is_reported_where_it_stands() {
    let right = RIGHT.replace("content-type: text/html\n", "!trailer\n");
    assert_eq!(fault(&right).await, None);
    for (from, to, line, words) in [
        ("age: 59", "age: 60", "10", "age: 59"),
        ("hit; age", "fwd=stale; age", "10", "Cache-Status is"),
        ("\"one\" hit", "\"two\" hit", "10", "the body is"),
        ("200 \"one\" hit", "206 \"one\" hit", "10", "the status is 200"),
        ("!age", "!etag", "7", "etag: \"a\""),
        ("!hit", "!stored", "7", "Cache-Status is"),
        ("> GET /;", "> HEAD /;", "4", "the origin sees \"GET /\""),
        ("!if-none-match", "!accept", "4", "the origin sees accept: text/html"),
        ("!if-none-match", "if-none-match: \"a\"", "4", "the origin sees no if-none-match"),
        ("= 200 \"one\" fwd", "= error fwd", "7", "behind"),
        ("< 200", "< 200 cut", "7", "the body breaks"),
        ("+59s", "+60s", "", "the origin is asked"),
        ("= 200 \"one\" hit", "< 200 \"two\"\n= 200 \"one\" hit", "10", "the origin is not asked"),
    ] {
        let wrong = right.replacen(from, to, 1);
        assert_ne!(wrong, right, "{from}");
        let (at, what) = fault(&wrong).await.unwrap_or_else(|| panic!("nobody notices {to:?}"));
        assert_eq!(at, line, "{to}: {what}");
        assert!(what.contains(words) || words == "behind", "{to}: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_language_does_not_know_is_rejected_where_it_stands() {
    for (text, line) in [
        ("GET /", "1"),
        ("## No citation\nGET /", "1"),
        ("## A wrong one [RFC 9111]", "1"),
        ("## A wrong one [RFC 9111 4.2, 5861 3]", "1"),
        ("## Words [RFC 9111 4]\nget /", "2"),
        ("## No expectation [RFC 9111 4]\nGET /\n< 200", "2"),
        ("## A rule that is none [RFC 9111 4]\nrules: default_ttl=3s", "2"),
        ("## A late rule [RFC 9111 4]\nGET /\n= 200\nrules: heuristics", "4"),
        ("## A field that is none [RFC 9111 4]\nGET /\nAccept: x", "3"),
        ("## A field that is none [RFC 9111 4]\nGET /; accept\n= 200", "2"),
        ("## An answer without status [RFC 9111 4]\nGET /\n< etag: x", "3"),
        ("## An unknown word [RFC 9111 4]\nGET /\n< 200 soon", "3"),
        ("## An unknown parameter [RFC 9111 4]\nGET /\n< 200\n= 200 miss", "4"),
        ("## An expectation without status [RFC 9111 4]\nGET /\n< 200\n= age: 1", "4"),
        ("## Two expectations [RFC 9111 4]\nGET /\n= 200\n= 200", "4"),
        ("## An open body [RFC 9111 4]\nGET /\n< 200 \"x", "3"),
        ("## A time [RFC 9111 4]\n+5 s", "2"),
        ("## Nobody to go with [RFC 9111 4]\n& GET /\n= 200", "2"),
    ] {
        let (at, what) = fault(text).await.unwrap_or_else(|| panic!("{text:?} is accepted"));
        assert_eq!(at, line, "{text:?}: {what}");
    }
}
