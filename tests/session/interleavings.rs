//! Every order in which two requests on one session can load it and save, with its end by time at every place.

use bartizan::{Error, Session, session::Lifetime};

use crate::support::{Browser, MINUTE, Scene, Underway};

/// What a request does once it has loaded the session.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Write,
    Touch,
    Update,
    Renew,
    LogIn,
    Destroy,
}

const ACTS: [Act; 6] = [Act::Write, Act::Touch, Act::Update, Act::Renew, Act::LogIn, Act::Destroy];

/// What happens next: `true` is the first request, which begins first and ends second.
const ORDERS: [[bool; 4]; 6] = [
    [true, true, false, false],
    [true, false, true, false],
    [true, false, false, true],
    [false, true, true, false],
    [false, true, false, true],
    [false, false, true, true],
];

#[tokio::test]
async fn no_order_of_two_requests_brings_an_ended_session_back() {
    let mut played = 0;
    for acts in ACTS.iter().flat_map(|one| ACTS.iter().map(move |other| [*one, *other])) {
        for order in ORDERS {
            // It expires before the step of this number, or (4) after all, or (5) never.
            for expires in 0..=5 {
                play(acts, order, expires)
                    .await
                    .unwrap_or_else(|error| panic!("{acts:?} {order:?} {expires}: {error}"));
                played += 1;
                // A task that never yields is made to wait by tokio, here in the middle of a request.
                tokio::task::yield_now().await;
            }
        }
    }
    assert_eq!(played, 6 * 6 * 6 * 6);
}

async fn play(acts: [Act; 2], order: [bool; 4], expires: usize) -> Result<(), Error> {
    let scene = Scene::with(|layer| layer.lifetime(Lifetime::new(30 * MINUTE, 30 * MINUTE)));
    let mut browser = Browser::default();
    scene.on(&mut browser, async |session| session.insert("a", &0).await).await?;
    let id = scene.id(&browser);
    // So that touches are due.
    scene.clock.advance(10 * MINUTE);

    let what = format!("{acts:?} {order:?} {expires}");
    let (mut begun, mut saw): ([Option<Underway<'_>>; 2], [bool; 2]) = ([None, None], [false, false]);
    let mut ended = false;
    for (step, is_first) in order.into_iter().enumerate() {
        if step == expires {
            scene.clock.advance(HALF_AN_HOUR);
            ended = true;
        }
        let which = usize::from(!is_first);
        match begun[which].take() {
            None => {
                saw[which] = scene.is_there(&id).await;
                assert!(!(ended && saw[which]), "{what}: what ended is not seen");
                begun[which] = Some(scene.begin(&browser, async move |session| act(acts[which], &session).await));
            }
            Some(underway) => {
                let was_there = scene.is_there(&id).await;
                underway.end();
                let is_there = scene.is_there(&id).await;
                assert!(was_there || !is_there, "{what}: it came back");
                if acts[which] == Act::Destroy && saw[which] {
                    // Who saw a session from before a change of rights ends nothing.
                    ended |= !is_there;
                }
            }
        }
        assert!(!(ended && scene.is_there(&id).await), "{what}: what ended stays ended");
    }
    if expires == 4 {
        // Nor does a login prolong it by more than the deadline it set.
        scene.clock.advance(HALF_AN_HOUR);
        ended = true;
    }
    if ended {
        assert!(!scene.is_there(&id).await, "{what}: it ended");
        scene.clock.set(bartizan::clock::Timestamp::from_secs(1_700_000_000));
        assert!(!scene.is_there(&id).await, "{what}: nor with a clock that is set back");
        let late = scene.visit(&mut browser, async |session| act(Act::Write, &session).await).await;
        late.made.expect("the handler was called")?;
        assert!(!scene.is_there(&id).await, "{what}: nor with a cookie that is sent again");
    } else {
        assert!(scene.is_there(&id).await, "{what}: nobody ended it");
    }
    Ok(())
}

const HALF_AN_HOUR: std::time::Duration = std::time::Duration::from_secs(30 * 60);

async fn act(act: Act, session: &Session) -> Result<(), Error> {
    match act {
        Act::Write => session.insert("a", &1).await,
        Act::Touch => session.get::<i32>("a").await.map(drop),
        Act::Update => session.update("a", |a: Option<i32>| a.unwrap_or(0) + 1).await.map(drop),
        Act::Renew => session.renew().await,
        Act::LogIn => session.set_principal("ann").await,
        Act::Destroy => session.destroy().await,
    }
}
