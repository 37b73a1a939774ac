//! A body of several parts of another: `multipart/byteranges`. RFC 9110, 14.6

use std::{io::Write, ops::Range, vec};

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;

use super::policy::range;

/// What is left of such a body. Its parts are slices: only what stands between them is written.
#[derive(Debug)]
pub(crate) struct Multipart {
    frames: vec::IntoIter<Bytes>,
    left: u64,
}

// === impl Multipart ===

impl Multipart {
    /// The `parts` of `whole`, which is of `content_type`, and the content type of the result.
    ///
    /// The boundary must not occur in any part. Nobody can have put 128 random bits there, and looking for them would cost
    /// more than sending the parts.
    pub(crate) fn new(
        whole: &Bytes,
        parts: &[Range<u64>],
        content_type: Option<&HeaderValue>,
        boundary: u128,
    ) -> (HeaderValue, Self) {
        let mut text = BytesMut::new();
        let mut frames = Vec::with_capacity(2 * parts.len() + 1);
        for (at, part) in parts.iter().enumerate() {
            let line_break = if at == 0 { "" } else { "\r\n" };
            write(&mut text, format_args!("{line_break}--{boundary:032x}\r\n"));
            if let Some(content_type) = content_type {
                text.put_slice(b"Content-Type: ");
                text.put_slice(content_type.as_bytes());
                text.put_slice(b"\r\n");
            }
            text.put_slice(b"Content-Range: ");
            text.put_slice(range::content_range(part, whole.len() as u64).as_bytes());
            text.put_slice(b"\r\n\r\n");
            frames.push(text.split().freeze());
            frames.push(whole.slice(part.start as usize..part.end as usize));
        }
        write(&mut text, format_args!("\r\n--{boundary:032x}--\r\n"));
        frames.push(text.freeze());

        let content_type = HeaderValue::try_from(format!("multipart/byteranges; boundary={boundary:032x}"))
            .expect("hexadecimal digits are visible ASCII");
        let left = frames.iter().map(|frame| frame.len() as u64).sum();
        (content_type, Self { frames: frames.into_iter(), left })
    }

    /// In bytes.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}

impl Iterator for Multipart {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let frame = self.frames.next()?;
        self.left -= frame.len() as u64;
        Some(frame)
    }
}

fn write(text: &mut BytesMut, piece: std::fmt::Arguments<'_>) {
    text.writer().write_fmt(piece).expect("a buffer takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_slices_between_boundaries() {
        let whole = Bytes::from_static(b"0123456789");
        let text = HeaderValue::from_static("text/plain");
        let (content_type, body) = Multipart::new(&whole, &[7..10, 0..2], Some(&text), 0xb);
        assert_eq!(content_type, "multipart/byteranges; boundary=0000000000000000000000000000000b");
        let length = body.left();
        let frames: Vec<Bytes> = body.collect();
        let want = "--0000000000000000000000000000000b\r\n\
            Content-Type: text/plain\r\nContent-Range: bytes 7-9/10\r\n\r\n\
            789\r\n--0000000000000000000000000000000b\r\n\
            Content-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n\
            01\r\n--0000000000000000000000000000000b--\r\n";
        assert_eq!(frames.concat(), want.as_bytes());
        assert_eq!(length, want.len() as u64);
        assert_eq!(frames[1].as_ptr(), whole[7..].as_ptr(), "no byte of the page is copied");
    }

    #[test]
    fn what_has_no_type_has_none_in_its_parts() {
        let (_, body) = Multipart::new(&Bytes::from_static(b"0123"), &[0..1, 2..3], None, 0);
        assert!(!body.collect::<Vec<_>>().concat().windows(13).any(|text| text == b"Content-Type:"));
    }
}
