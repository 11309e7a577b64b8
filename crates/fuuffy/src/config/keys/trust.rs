//! What is believed of others, and what comes of secrets that others have seen.

use super::{Section, key};

const GRADE: &str = r#""warn", "quarantine" or "revoke""#;

pub(in crate::config) static LEAKS: Section = Section {
    heading: "`[environments.….leaks]`",
    about: "Only what is right has consequences, and each of them is told to operators. `warn` tells; a secret that is quarantined can do nothing but replace itself, as `fuuffy rotate` does where its client may; what is revoked works no more. A token that would be quarantined is revoked.",
    keys: &[
        key("url", GRADE, r#""warn""#, "A secret or a token in the path or the query of a request."),
        key(
            "browser",
            GRADE,
            r#""warn""#,
            "A secret that a browser sent, by `Origin` or the `Sec-Fetch-` fields of browsers.",
        ),
        key(
            "plain_http",
            GRADE,
            r#""revoke" for tokens on a listener with certificates, else "warn""#,
            "A secret or a token that came in clear to a port that speaks TLS, or a token that a trusted proxy says came so (`X-Forwarded-Proto: http`).",
        ),
        key(
            "public",
            GRADE,
            r#""quarantine""#,
            "A secret or a token that somebody found where anybody can read it, by a report at `/v1/auth/leaks`.",
        ),
        key(
            "report_keys",
            "an https:// URL, or an http:// one on loopback",
            "none: no reports are taken",
            "Where the keys are published that reports are signed with, in the form of GitHub's partner programme; its own are at `https://api.github.com/meta/public_keys/secret_scanning`.",
        ),
        key("misplaced", GRADE, r#""warn""#, "A secret that was sent as a bearer token."),
    ],
};

const ALLOW_PRIVATE: &str = "Whether keys may be on this machine or its own network: loopback, RFC 1918, `100.64.0.0/10` and `fc00::/7`. Where a name has any other address than it may have, nothing is fetched.";
const CA_FILE: &str = "Who is trusted to say whose server it is, in the stead of the machine's authorities.";

pub(in crate::config) static PUBLISHED_KEYS: Section = Section {
    heading: "`[environments.….published_keys]`",
    about: "Keys are fetched over HTTPS alone, without following a redirect: at most 64 KiB and 100 keys within five seconds. They are fetched anew every ten minutes while they are used, and when a key is named that is not among them, at most twice a minute. While they cannot be fetched, those that are known do for a week.",
    keys: &[
        key("allow_private", "true or false", "false", ALLOW_PRIVATE),
        key("ca_file", "the path of a file of certificates in PEM", "none: the machine's authorities", CA_FILE),
    ],
};

pub(in crate::config) static IDENTITY_ISSUER: Section = Section {
    heading: "`[[environments.….identity_issuers]]`",
    about: "A client that is bound to what such a platform says of it (`fuuffy clients identities add`) gets tokens by the platform's own token, and there is no secret. The token is signed by RS256, ES256 or EdDSA. It is used again and again until it ends, so its audience should be this token service alone.",
    keys: &[
        key(
            "issuer",
            r#"an https:// URL without a query, as in "https://token.actions.githubusercontent.com""#,
            "",
            "What the platform calls itself: `iss` of its tokens, written exactly so.",
        ),
        key(
            "audience",
            "1 to 500 visible characters",
            "the issuer of this environment: the origin of `base_url`",
            "What `aud` of its tokens must be, and nothing besides.",
        ),
        key(
            "jwks_uri",
            "an https:// URL at an address that may be reached",
            "what `/.well-known/openid-configuration` of the issuer says",
            "Where its keys are.",
        ),
        key(
            "jwks_file",
            "the path of a file with a JWK Set, and no jwks_uri beside it",
            "none",
            "Its keys, for a cluster that cannot be reached: `kubectl get --raw /openid/v1/jwks`. Read anew as a URL is.",
        ),
        key(
            "binding_claims",
            r#"a list of claims that tell one workload from others, as in ["sub"]"#,
            r#"`sub`; of GitHub Actions also `repository`, `repository_id`, `repository_owner`, `repository_owner_id` and `job_workflow_ref`; of GitLab also `project_path`, `project_id`, `namespace_path` and `namespace_id`"#,
            "Each identity names one of them, so that none is everybody's.",
        ),
        key(
            "longest_life",
            r#"a whole number with the unit s, m, h or d, from 1s to 30d, as in "24h""#,
            r#""24h""#,
            "Tokens that live longer, from `iat` to `exp`, are refused.",
        ),
        key("allow_private", "true or false", "false", ALLOW_PRIVATE),
        key("ca_file", "the path of a file of certificates in PEM", "none: the machine's authorities", CA_FILE),
    ],
};
