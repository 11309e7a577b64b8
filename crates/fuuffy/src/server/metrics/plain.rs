//! The two ways to write metrics down.

use std::collections::HashSet;

use http::HeaderMap;
use http::header;

/// How metrics are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// What Prometheus had before, and whoever asks for plain text understands.
    Plain,
}

impl Format {
    /// OpenMetrics, but for whoever asks for text and not for it.
    pub(in crate::server) fn asked_for(headers: &HeaderMap) -> Self {
        let accepted: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok()).collect();
        let accepted = accepted.join(",");
        if accepted.contains("text/plain") && !accepted.contains("openmetrics") {
            Self::Plain
        } else {
            Self::OpenMetrics
        }
    }

    pub(in crate::server) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The text in this format, from OpenMetrics: a counter is called as its samples are, and there is no end mark.
    pub(super) fn of(self, text: String) -> String {
        if self == Self::OpenMetrics {
            return text;
        }
        let of_type = |line: &str| line.strip_prefix("# TYPE ")?.strip_suffix(" counter").map(str::to_owned);
        let counters: HashSet<String> = text.lines().filter_map(of_type).collect();
        let mut plain = String::with_capacity(text.len());
        for line in text.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
            let described = ["# HELP ", "# TYPE "].into_iter().find(|start| line.starts_with(start));
            let rest =
                described.and_then(|start| line[start.len()..].split_once(' ').map(|(name, rest)| (start, name, rest)));
            match rest.filter(|(_, name, _)| counters.contains(*name)) {
                Some((start, name, rest)) => plain.extend([start, name, "_total ", rest]),
                None => plain.push_str(line),
            }
            plain.push('\n');
        }
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_names_counters_as_their_samples() {
        let open = "# HELP a_b Words.\n# TYPE a_b counter\n# UNIT a_b bytes\na_b_total{x=\"1\"} 2\n# HELP g Words.\n# TYPE g gauge\ng 1\n# EOF\n";
        let plain = "# HELP a_b_total Words.\n# TYPE a_b_total counter\na_b_total{x=\"1\"} 2\n# HELP g Words.\n# TYPE g gauge\ng 1\n";
        assert_eq!(Format::Plain.of(open.to_owned()), plain);
        assert_eq!(Format::OpenMetrics.of(open.to_owned()), open);
    }

    #[test]
    fn whoever_asks_for_nothing_or_for_both_gets_openmetrics() {
        let asked = |accept: Option<&'static str>| {
            let accept = accept.map(|accept| (header::ACCEPT, http::HeaderValue::from_static(accept)));
            Format::asked_for(&accept.into_iter().collect())
        };
        assert_eq!(asked(None), Format::OpenMetrics);
        assert_eq!(asked(Some("*/*")), Format::OpenMetrics);
        assert_eq!(asked(Some("text/plain;version=0.0.4")), Format::Plain);
        assert_eq!(asked(Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.1")), Format::OpenMetrics);
    }
}
