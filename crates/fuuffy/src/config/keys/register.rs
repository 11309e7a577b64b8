//! Clients as `fuuffy export` writes them and `fuuffy apply` reads them.

use super::{SCOPE, Section, key};

pub(in crate::config) static REGISTER: Section = Section {
    heading: "the file itself",
    about: "",
    keys: &[
        key("environment", r#""testing" or "production""#, "", "Whose clients these are."),
        key("clients", "a list of tables", "none", "All clients of the environment."),
    ],
};

pub(in crate::config) static REGISTERED: Section = Section {
    heading: "`[[clients]]`",
    about: "",
    keys: &[
        key("client_id", "1 to 64 letters, digits, '_' and '-'", "", "What it is known by."),
        key("name", "1 to 100 characters without control characters", "", "What people call it."),
        key("scope", SCOPE, "none", "All that it may be granted."),
        key("plan", "a plan that the configuration has", r#""standard""#, "What it may do."),
        key(
            "limits",
            r#"limits separated by spaces, as in "200/min 5000/h", each with another unit"#,
            "the plan's",
            "Its own, in place of its plan's.",
        ),
        key(
            "token_lifetime",
            r#"at most the environment's token_lifetime, as in "15m""#,
            "the environment's",
            "A life for its tokens.",
        ),
        key("may_rotate", "true or false", "false", "Whether it may rotate its own secrets."),
        key(
            "dpop_bound_access_tokens",
            "true or false",
            "false",
            "Whether all its tokens are bound to the key of its DPoP proofs (RFC 9449), so that none works without.",
        ),
        key(
            "keys",
            "a list of tables",
            "[]",
            "Public keys, by which it proves itself without a secret (`private_key_jwt`).",
        ),
        key(
            "jwks_uri",
            "an https:// URL at an address that may be reached",
            "none",
            "Where it publishes its keys instead. It never changes.",
        ),
        key(
            "tls_client_certificate_bound_access_tokens",
            "true or false",
            "false",
            "Whether all its tokens are bound to the certificate that it requests them with (RFC 8705).",
        ),
        key("identities", "a list of tables", "[]", "What platforms' own tokens say of it."),
        key("certificates", "a list of tables", "[]", "Certificates that it is known by (mutual TLS)."),
        key("status", r#""active" or "suspended""#, r#""active""#, "Whether it may get tokens."),
    ],
};

pub(in crate::config) static REGISTERED_KEY: Section = Section {
    heading: "`keys` of `[[clients]]`",
    about: "",
    keys: &[
        key("kty", r#""EC", "OKP" or "RSA""#, "", "Its type."),
        key("crv", r#""P-256" or "Ed25519""#, "none", "Its curve, of `EC` and `OKP`."),
        key("x", "32 bytes in base64url", "none", "Its first coordinate there."),
        key("y", "32 bytes in base64url", "none", "Its second one, on P-256."),
        key("n", "256, 384 or 512 bytes in base64url", "none", "The modulus, of `RSA`: 2048, 3072 or 4096 bits."),
        key("e", r#""AQAB""#, "none", "The exponent, of `RSA`."),
        key("kid", "1 to 128 visible characters", "none", "What its holder calls it."),
    ],
};

pub(in crate::config) static REGISTERED_CERTIFICATE: Section = Section {
    heading: "`certificates` of `[[clients]]`",
    about: "",
    keys: &[
        key("subject_dn", "a subject as RFC 4514 writes it", "none", "Its subject."),
        key("san_dns", "a name of DNS", "none", "A name of DNS in it."),
        key("san_uri", "a URI", "none", "A URI in it."),
        key("san_ip", "an IP address", "none", "An address in it."),
        key("san_email", "an address of electronic mail", "none", "An address of electronic mail in it."),
        key("x5t#S256", "a thumbprint of SHA-256 in base64url", "none", "That very one, which is registered already."),
        key("certificate", "one certificate in PEM", "none", "That very one."),
    ],
};

pub(in crate::config) static REGISTERED_IDENTITY: Section = Section {
    heading: "`identities` of `[[clients]]`",
    about: "",
    keys: &[
        key("issuer", "an issuer of the environment's identity_issuers", "", "The platform."),
        key(
            "claims",
            r#"a table of strings, as in { sub = "system:serviceaccount:shop:orders" }"#,
            "",
            "What its token must say.",
        ),
    ],
};
