//! The decompression of a body, within its limits. Input that takes too long is found by libFuzzer's timeout.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ringcentral_exporter::ringcentral::response_body::decompress;

const MAX_SHORT: usize = 1024;
const MAX_LONG: usize = 2 * 1024 * 1024;

/// Checks the input as a body, and what it becomes when it is compressed.
pub fn check(data: &[u8]) {
    assert_limits_agree(data);
    let compressed = gzip(data);
    assert_limits_agree(&compressed);
    let body = decompress(&compressed, data.len()).expect("valid gzip");
    assert_eq!(body, data, "another body");
    if let Some(too_short) = data.len().checked_sub(1) {
        assert!(
            decompress(&compressed, too_short).is_err(),
            "over the limit"
        );
    }
    let truncated = &compressed[..compressed.len() - 1];
    assert!(decompress(truncated, data.len()).is_err(), "truncated");
    let followed = [&compressed[..], data].concat();
    let is_valid = decompress(&followed, data.len()).is_ok();
    assert_eq!(is_valid, data.is_empty(), "bytes after the body");
}

/// Asserts that a body that fits into a limit is the same with a higher one, and that one over a limit is not returned.
fn assert_limits_agree(compressed: &[u8]) {
    let short = decompress(compressed, MAX_SHORT);
    let long = decompress(compressed, MAX_LONG);
    match (short, long) {
        (Ok(short), Ok(long)) => {
            assert!(short.len() <= MAX_SHORT, "over the limit");
            assert_eq!(short, long, "the limit changes the body");
        }
        (Err(_), Ok(long)) => {
            assert!((MAX_SHORT + 1..=MAX_LONG).contains(&long.len()), "limits");
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(_)) => panic!("a higher limit is an error"),
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}
