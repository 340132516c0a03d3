//! Content negotiation: what a client accepts, by the headers `Accept` and `Accept-Encoding`.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

use crate::exposition::TextFormat;

const OPEN_METRICS: &str = "application/openmetrics-text";
/// The ranges that match the text format, the most specific one first.
const TEXT_RANGES: [&str; 3] = ["text/plain", "text/*", "*/*"];

/// Returns whether `gzip`, or else its alias `x-gzip`, or else `*`, is listed with a quality above 0.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    for encoding in ["gzip", "x-gzip", "*"] {
        if let Some(quality) = quality(headers, ACCEPT_ENCODING, encoding) {
            return quality > 0.0;
        }
    }
    false
}

/// Returns the quality with which a header lists `value`: 1 if it does not state one, 0 if that is
/// invalid.
pub(crate) fn quality(headers: &HeaderMap, header: HeaderName, value: &str) -> Option<f32> {
    let item = items(headers, header).find(|item| item.value.eq_ignore_ascii_case(value));
    item.map(|item| item.quality)
}

/// Returns OpenMetrics if the request names it with a higher quality than the text format gets from the most specific
/// range that matches it. Prometheus 2 and 3 do so by default.
pub(crate) fn text_format(headers: &HeaderMap) -> TextFormat {
    let mut lines = headers.get_all(ACCEPT).iter();
    if lines.any(|line| line.to_str().is_err()) {
        return TextFormat::Prometheus;
    }
    let open_metrics = best_quality(headers, |item| item.is_open_metrics()).unwrap_or(0.0);
    let mut text = None;
    for range in TEXT_RANGES {
        let is_range = |item: &Item<'_>| item.value.eq_ignore_ascii_case(range);
        text = text.or_else(|| best_quality(headers, is_range));
    }
    if open_metrics > text.unwrap_or(0.0) {
        TextFormat::OpenMetrics
    } else {
        TextFormat::Prometheus
    }
}

/// Returns the highest quality of the items of `Accept` that match.
fn best_quality(headers: &HeaderMap, matches: impl Fn(&Item<'_>) -> bool) -> Option<f32> {
    let mut best: Option<f32> = None;
    for item in items(headers, ACCEPT).filter(matches) {
        best = Some(item.quality.max(best.unwrap_or(0.0)));
    }
    best
}

/// Returns the items of all lines of a header, without lines that are not text.
fn items(headers: &HeaderMap, header: HeaderName) -> impl Iterator<Item = Item<'_>> {
    let lines = headers.get_all(header).into_iter();
    let lines = lines.map(|line| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(Item::parse)
}

/// An item of a header that lists what a client accepts.
struct Item<'a> {
    value: &'a str,
    /// From 0 to 1: 1 if none is stated, 0 if it is invalid.
    quality: f32,
    version: Option<&'a str>,
}

impl<'a> Item<'a> {
    fn parse(item: &'a str) -> Self {
        let mut parts = item.split(';').map(str::trim);
        let mut item = Self {
            value: parts.next().unwrap_or_default(),
            quality: 1.0,
            version: None,
        };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else {
                continue;
            };
            if name.eq_ignore_ascii_case("q") {
                let quality = value.parse().unwrap_or(0.0);
                item.quality = if (0.0..=1.0).contains(&quality) {
                    quality
                } else {
                    0.0
                };
            } else if name.eq_ignore_ascii_case("version") {
                item.version = Some(value.trim_matches('"'));
            }
        }
        item
    }

    /// Returns whether this is the version that is served. Other parameters, such as `escaping` of Prometheus 3, do not
    /// matter: no name has to be escaped.
    fn is_open_metrics(&self) -> bool {
        let has_version = self.version.is_none_or(|version| version == "1.0.0");
        self.value.eq_ignore_ascii_case(OPEN_METRICS) && has_version
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn gzip_needs_a_quality_above_0() {
        let cases: [(&[&'static str], bool); 28] = [
            (&[], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZIP"], true),
            (&["x-gzip"], true),
            (&["x-gzip;q=0"], false),
            (&["deflate, GZIP;q=0.5"], true),
            (&["gzip;q=1.000"], true),
            (&["gzip;q=0.001"], true),
            (&["gzip;level=1;q=0"], false),
            (&["gzip;q=0"], false),
            (&["gzip;Q=0"], false),
            (&["gzip; q=0.000"], false),
            (&["gzip ;\tQ=0."], false),
            (&["gzip;q="], false),
            (&["gzip;q=-1"], false),
            (&["gzip;q=nan"], false),
            (&["gzip;q=2"], false),
            (&["gzip;qs=0"], true),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["*;Q=0.0"], false),
            (&["*;q=0, gzip"], true),
            (&["*;q=0.5, gzip;q=0.0"], false),
            (&["identity"], false),
            (&["gzipped, xgzip"], false),
            (&["identity", "deflate;q=1, gzip;q=0.2"], true),
            (&["*", "gzip;Q=0"], false),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(line));
            }
            assert_eq!(accepts_gzip(&headers), expected, "{lines:?}");
        }
    }

    #[test]
    fn openmetrics_needs_a_higher_quality_than_text() {
        let cases: [(&[&'static str], bool); 34] = [
            (&[], false),
            (&[""], false),
            (&["*/*"], false),
            (&["text/plain"], false),
            (&["application/*"], false),
            (&["application/openmetrics-text"], true),
            (&["Application/OpenMetrics-Text"], true),
            (&["application/openmetrics-text; version=1.0.0"], true),
            (&["application/openmetrics-text;version=\"1.0.0\""], true),
            (&["application/openmetrics-text;version=0.0.1"], false),
            (&["application/openmetrics-text;version=2.0.0"], false),
            (&["application/openmetrics-text;version="], false),
            (&["application/openmetrics-text;escaping=allow-utf-8"], true),
            (&["application/openmetrics-text;q=0"], false),
            (
                &["application/openmetrics-text;q=0.0, text/plain;q=0"],
                false,
            ),
            (&["application/openmetrics-text;q=x"], false),
            (&["application/openmetrics-text;q=nan"], false),
            (&["application/openmetrics-text;q=2"], false),
            (&["application/openmetrics-text;q=0.001"], true),
            (&["application/openmetrics-text, */*"], false),
            (&["application/openmetrics-text, */*;q=0.9"], true),
            (&["application/openmetrics-text, text/plain"], false),
            (
                &["application/openmetrics-text;q=0.5, text/plain;q=0.6"],
                false,
            ),
            (
                &["application/openmetrics-text;q=0.6, text/plain;q=0.5"],
                true,
            ),
            (
                &["application/openmetrics-text;q=0.6, text/*;q=0.7, */*;q=0.1"],
                false,
            ),
            // The most specific range of the text format counts, in any position.
            (
                &["*/*, application/openmetrics-text;q=0.6, text/plain;q=0.5"],
                true,
            ),
            (
                &["application/openmetrics-text;q=0.5, text/*;q=0.1, */*"],
                true,
            ),
            (
                &["text/plain;q=0.1", "application/openmetrics-text;q=0.2"],
                true,
            ),
            (
                &[
                    "text/plain;q=0.1, text/plain;version=0.0.4;q=0.3, application/openmetrics-text;q=0.2",
                ],
                false,
            ),
            (&["x;a=\"b,application/openmetrics-text\""], false),
            (&["application/openmetrics-text", "\u{e9}"], false),
            // Prometheus 2.42, 3.5, and 3.5 with created timestamps.
            (
                &[
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ],
                true,
            ),
            (
                &[
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ],
                true,
            ),
            (
                &[
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ],
                true,
            ),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ACCEPT, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            let is_open_metrics = text_format(&headers) == TextFormat::OpenMetrics;
            assert_eq!(is_open_metrics, expected, "{lines:?}");
        }
    }
}
