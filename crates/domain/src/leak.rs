//! Secrets and tokens that were seen where they do not belong, and what comes of it, as an operator has set it.

use serde::Serialize;

/// Where a secret or a token was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeakPlace {
    /// In the path or the query of a URL, which logs, histories and `Referer` fields have from then on.
    Url,
    /// In a token request of a browser, where whoever uses the page can read it.
    Browser,
    /// In a request that crossed a network in clear.
    PlainHttp,
    /// Where anybody can read it, as somebody reported who is believed about that.
    Public,
    /// A secret where a token belongs, where programs and proxies treat it as one.
    Misplaced,
}

/// What comes of a leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// It is told.
    Warn,
    /// A secret can do nothing any more but replace itself. A token has nothing to replace: it is revoked.
    Quarantine,
    /// A secret is retired, and a token revoked.
    Revoke,
}

/// What comes of leaks in each place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeakGrades {
    /// [`LeakPlace::Url`]
    pub url: Grade,
    /// [`LeakPlace::Browser`]
    pub browser: Grade,
    /// [`LeakPlace::PlainHttp`], of a secret.
    pub plain_http_secret: Grade,
    /// [`LeakPlace::PlainHttp`], of a token.
    pub plain_http_token: Grade,
    /// [`LeakPlace::Public`]
    pub public: Grade,
    /// [`LeakPlace::Misplaced`]
    pub misplaced: Grade,
}

impl LeakPlace {
    /// What happened, after "it"; for the audit log and for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Url => "was sent in a URL",
            Self::Browser => "was sent by a browser",
            Self::PlainHttp => "was sent over plain HTTP",
            Self::Public => "was found where anybody can read it",
            Self::Misplaced => "was sent in the place of a token",
        }
    }

    /// Its name in the configuration and in alerts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Browser => "browser",
            Self::PlainHttp => "plain_http",
            Self::Public => "public",
            Self::Misplaced => "misplaced",
        }
    }
}

impl Grade {
    /// Reads one as it is written in a configuration.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Warn, Self::Quarantine, Self::Revoke].into_iter().find(|grade| grade.name() == text)
    }

    /// As it is written in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Quarantine => "quarantine",
            Self::Revoke => "revoke",
        }
    }
}

impl LeakGrades {
    /// What comes of a secret that was seen there.
    #[must_use]
    pub const fn of_secret(&self, place: LeakPlace) -> Grade {
        match place {
            LeakPlace::Url => self.url,
            LeakPlace::Browser => self.browser,
            LeakPlace::PlainHttp => self.plain_http_secret,
            LeakPlace::Public => self.public,
            LeakPlace::Misplaced => self.misplaced,
        }
    }

    /// What comes of a token that was seen there.
    #[must_use]
    pub const fn of_token(&self, place: LeakPlace) -> Grade {
        match place {
            LeakPlace::PlainHttp => self.plain_http_token,
            _ => self.of_secret(place),
        }
    }
}

impl Default for LeakGrades {
    /// Nothing that works stops working, but for a token that crossed a network in clear, for a program gets itself
    /// another within a moment; and for what anybody can read, where an operator takes reports of that.
    fn default() -> Self {
        let warn = Grade::Warn;
        Self {
            url: warn,
            browser: warn,
            plain_http_secret: warn,
            plain_http_token: Grade::Revoke,
            public: Grade::Quarantine,
            misplaced: warn,
        }
    }
}
