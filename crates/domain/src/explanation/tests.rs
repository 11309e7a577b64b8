//! Every reason has words of its own, and what a caller wrote is kept short and without secrets.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use fuuffy_protocol::{AuthMethod, BoundTokenFault, ProofFault, ProofPlace, RequestFault, TokenFault, TokenType};

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

fn refused(path: &str, reason: Reason) -> Refused {
    let context = RequestContext { id: RequestId::generate(NOW, [0; 10]), peer: Ipv4Addr::LOCALHOST.into(), now: NOW };
    Refused::new(&context, ("GET", path), &Refusal::InvalidToken(TokenFault::Expired), reason)
}

#[test]
fn every_reason_has_words_of_its_own() {
    let secret_id = SecretId::parse("sec_1").unwrap();
    let upstream = |problem| Reason::Upstream { upstream: "127.0.0.1:1".to_owned(), problem };
    let claimed = ClientId::parse("app_1").unwrap();
    let throttled = |by_client, by_address| Reason::Throttled { claimed: Some(claimed.clone()), by_client, by_address };
    let failed = |problem| Reason::StoreFailed { problem };
    let all = [
        Reason::Told,
        Reason::TokenExpired { at: NOW.unix_millis() - 42_000 },
        Reason::TokenRevoked { expires_at: NOW.unix_millis() },
        Reason::TokensRevoked { generation: 0 },
        Reason::ClientStopped { generation: 1 },
        Reason::TokenUnknown,
        Reason::TokenMalformed(TokenFlaw::Quoted),
        Reason::ScopeMissing { needed: "a".to_owned(), has: "b".to_owned() },
        Reason::Limited { window: "1/h".to_owned(), until: NOW.unix_millis(), plan: Some("standard".to_owned()) },
        Reason::Limited { window: "1/h".to_owned(), until: NOW.unix_millis(), plan: None },
        Reason::AtOnce { most: 50, plan: "standard".to_owned() },
        Reason::Overloaded { limit: 40 },
        Reason::TokensLimited { window: "120/h".to_owned(), until: NOW.unix_millis(), by_address: false },
        Reason::TokensLimited { window: "6000/h".to_owned(), until: NOW.unix_millis(), by_address: true },
        upstream(UpstreamProblem::Refused),
        upstream(UpstreamProblem::ConnectTimedOut),
        upstream(UpstreamProblem::AnswerTimedOut),
        upstream(UpstreamProblem::BrokeOff),
        upstream(UpstreamProblem::Unreadable),
        upstream(UpstreamProblem::Missing),
        Reason::ClientUnknown,
        Reason::SecretWrong { is_of_other_environment: false },
        Reason::SecretWrong { is_of_other_environment: true },
        Reason::SecretRetired { secret_id: secret_id.clone() },
        Reason::SecretQuarantined { secret_id: secret_id.clone() },
        Reason::LeakedInClear { secret_id: Some(secret_id.clone()) },
        Reason::LeakedInClear { secret_id: None },
        Reason::SecretExpired { secret_id },
        throttled(true, true),
        throttled(true, false),
        throttled(false, true),
        throttled(false, false),
        Reason::Throttled { claimed: None, by_client: true, by_address: false },
        Reason::ClientSuspended { generation: 1 },
        Reason::MayNotRotate,
        Reason::ScopeNotAllowed { may: "a".to_owned() },
        Reason::Drill,
        Reason::AskedTooOften { most: 60 },
        failed(StoreProblem::Full),
        failed(StoreProblem::Failed { error: "no audit today".to_owned() }),
        failed(StoreProblem::Closed),
        failed(StoreProblem::Overloaded),
    ];
    let assertions = AssertionFault::ALL.map(|fault| Reason::AssertionRefused { fault });
    let proofs = ProofFault::ALL.map(|fault| Reason::ProofRefused { fault });
    let certificates = CertificateFault::ALL.map(|fault| Reason::CertificateRefused { fault });
    let unknown = [false, true].map(|is_trusted| Reason::CertificateUnbound { subject: "CN=a".to_owned(), is_trusted });
    let certificates = certificates.into_iter().chain(unknown);
    let issuer = || "https://platform.example".to_owned();
    let identities = IdentityFault::ALL.map(|fault| Reason::IdentityRefused { fault });
    let unusable = KeySetFault::ALL.map(|fault| Reason::KeysUnusable { fault });
    let of_issuer = KeySetFault::ALL.map(|fault| Reason::IssuerUnusable { issuer: issuer(), fault });
    let unbound = Reason::IdentityUnbound { issuer: issuer(), subject: "system:serviceaccount:shop:a".to_owned() };
    let of_identities = identities.into_iter().chain(unusable).chain(of_issuer).chain([unbound]);
    let mut told = HashSet::new();
    for reason in all.into_iter().chain(assertions).chain(of_identities).chain(proofs).chain(certificates) {
        let kept = serde_json::from_str(&serde_json::to_string(&reason).unwrap()).unwrap();
        assert_eq!(reason, kept, "as it is kept");
        let refused = refused("/v1/orders", reason);
        for to in [Audience::Operator, Audience::Client] {
            for words in [refused.happened(to), refused.advice(to)] {
                assert!(!words.ends_with('.') && words.len() > 10, "{words}");
                let is_inside = ["127.0.0.1:1", "disk", "no audit today"].iter().any(|word| words.contains(word));
                assert!(to == Audience::Operator || !is_inside, "told to a client: {words}");
            }
        }
        let happened = refused.happened(Audience::Operator);
        assert!(told.insert(happened.clone()), "told twice: {happened}");
    }
    assert!(told.contains("The token had expired 42 s before"));
    assert!(told.contains("There had been too many wrong credentials for app_1 and from 127.0.0.1"));
    assert!(told.contains("The upstream 127.0.0.1:1 refused the connection"));
    assert!(told.contains("The client had used up 1/h of its plan \"standard\", until 2027-01-15T08:00:00.000Z"));
}

/// Where a refusal stands in the list of all of them. A new one does not compile until it has a place here, and the
/// test beneath fails until it is in the list.
fn place(refusal: &Refusal) -> usize {
    use RequestFault as F;
    match refusal {
        Refusal::InvalidRequest(fault) => match fault {
            F::ContentType => 0,
            F::MalformedForm => 1,
            F::RepeatedParameter => 2,
            F::MissingGrantType => 3,
            F::SeveralAuthentications => 4,
            F::CredentialsInQuery => 5,
            F::RepeatedAuthorization => 6,
            F::AmbiguousPath => 7,
            F::AmbiguousFraming => 8,
            F::MalformedMessage => 9,
            F::UpgradeNotAllowed => 10,
            F::MalformedDrill => 11,
            F::UnknownDrill => 12,
            F::DrillRequests => 13,
            F::DrillDelay => 14,
            F::UsageQuery => 15,
            F::PlainHttp => 40,
            F::MissingTokenParameter => 41,
            F::Report => 44,
            F::NoCertificate => 53,
            F::SeveralBindings => 54,
        },
        Refusal::UnsupportedGrantType => 16,
        Refusal::InvalidScope => 17,
        Refusal::InvalidClient(None) => 18,
        Refusal::InvalidClient(Some(AuthMethod::ClientSecretBasic)) => 19,
        Refusal::InvalidClient(Some(AuthMethod::ClientSecretPost)) => 20,
        Refusal::UnauthorizedClient => 21,
        Refusal::MissingToken => 22,
        Refusal::InvalidToken(TokenFault::Malformed) => 23,
        Refusal::InvalidToken(TokenFault::Unknown) => 24,
        Refusal::InvalidToken(TokenFault::Expired) => 25,
        Refusal::InsufficientScope(..) => 26,
        Refusal::NotFound => 27,
        Refusal::MethodNotAllowed(_) => 28,
        Refusal::PayloadTooLarge => 29,
        Refusal::UriTooLong => 30,
        Refusal::HeadersTooLarge => 31,
        Refusal::MisdirectedRequest => 32,
        Refusal::RateLimitExceeded(_) => 33,
        Refusal::BadGateway => 34,
        Refusal::GatewayTimeout => 35,
        Refusal::TooManySecrets => 36,
        Refusal::ServiceUnavailable(_) => 37,
        Refusal::TooManyTokens(_) => 38,
        Refusal::TooManyAtOnce(_) => 39,
        Refusal::InvalidTarget => 42,
        Refusal::SecretQuarantined => 43,
        Refusal::InvalidClient(Some(AuthMethod::PrivateKeyJwt)) => 45,
        Refusal::InvalidBoundToken(BoundTokenFault::Token(_)) => 46,
        Refusal::InvalidBoundToken(BoundTokenFault::Unproven) => 47,
        Refusal::InvalidBoundToken(BoundTokenFault::OtherKey) => 48,
        Refusal::InvalidProof(..) => 49,
        Refusal::UseNonce(..) => 50,
        Refusal::InvalidBoundToken(BoundTokenFault::Unbound) => 51,
        Refusal::InvalidClient(Some(AuthMethod::TlsClientAuth | AuthMethod::SelfSignedTlsClientAuth)) => 52,
        Refusal::InvalidBoundToken(BoundTokenFault::NoCertificate) => 55,
        Refusal::InvalidBoundToken(BoundTokenFault::OtherCertificate) => 56,
    }
}

#[test]
fn every_refusal_is_explained_in_words() {
    use RequestFault as F;
    let faults = [
        F::ContentType,
        F::MalformedForm,
        F::RepeatedParameter,
        F::MissingGrantType,
        F::SeveralAuthentications,
        F::CredentialsInQuery,
        F::RepeatedAuthorization,
        F::AmbiguousPath,
        F::AmbiguousFraming,
        F::MalformedMessage,
        F::UpgradeNotAllowed,
        F::MalformedDrill,
        F::UnknownDrill,
        F::DrillRequests,
        F::DrillDelay,
        F::UsageQuery,
    ];
    let others = [
        Refusal::UnsupportedGrantType,
        Refusal::InvalidScope,
        Refusal::InvalidClient(None),
        Refusal::InvalidClient(Some(AuthMethod::ClientSecretBasic)),
        Refusal::InvalidClient(Some(AuthMethod::ClientSecretPost)),
        Refusal::UnauthorizedClient,
        Refusal::MissingToken,
        Refusal::InvalidToken(TokenFault::Malformed),
        Refusal::InvalidToken(TokenFault::Unknown),
        Refusal::InvalidToken(TokenFault::Expired),
        Refusal::InsufficientScope(TokenType::Bearer, "a".to_owned()),
        Refusal::NotFound,
        Refusal::MethodNotAllowed("GET"),
        Refusal::PayloadTooLarge,
        Refusal::UriTooLong,
        Refusal::HeadersTooLarge,
        Refusal::MisdirectedRequest,
        Refusal::RateLimitExceeded(1),
        Refusal::BadGateway,
        Refusal::GatewayTimeout,
        Refusal::TooManySecrets,
        Refusal::ServiceUnavailable(1),
        Refusal::TooManyTokens(1),
        Refusal::TooManyAtOnce(1),
        Refusal::InvalidRequest(F::PlainHttp),
        Refusal::InvalidRequest(F::MissingTokenParameter),
        Refusal::InvalidTarget,
        Refusal::SecretQuarantined,
        Refusal::InvalidRequest(F::Report),
        Refusal::InvalidClient(Some(AuthMethod::PrivateKeyJwt)),
        Refusal::InvalidBoundToken(BoundTokenFault::Token(TokenFault::Unknown)),
        Refusal::InvalidBoundToken(BoundTokenFault::Unproven),
        Refusal::InvalidBoundToken(BoundTokenFault::OtherKey),
        Refusal::InvalidProof(ProofPlace::Api, ProofFault::Missing),
        Refusal::UseNonce(ProofPlace::Api, "n".to_owned()),
        Refusal::InvalidBoundToken(BoundTokenFault::Unbound),
        Refusal::InvalidClient(Some(AuthMethod::TlsClientAuth)),
        Refusal::InvalidRequest(F::NoCertificate),
        Refusal::InvalidRequest(F::SeveralBindings),
        Refusal::InvalidBoundToken(BoundTokenFault::NoCertificate),
        Refusal::InvalidBoundToken(BoundTokenFault::OtherCertificate),
    ];
    let all: Vec<Refusal> = faults.into_iter().map(Refusal::InvalidRequest).chain(others).collect();
    let context = RequestContext { id: RequestId::generate(NOW, [0; 10]), peer: Ipv4Addr::LOCALHOST.into(), now: NOW };
    for (number, refusal) in all.iter().enumerate() {
        assert_eq!(place(refusal), number);
        let refused = Refused::new(&context, ("GET", "/v1/orders"), refusal, Reason::Told);
        assert_eq!((refused.status, refused.code.as_str()), (refusal.status().as_u16(), refusal.code()));
        for to in [Audience::Operator, Audience::Client] {
            let (happened, advice) = (refused.happened(to), refused.advice(to));
            assert!(
                happened.len() > 10 && advice.len() > 10 && happened != advice,
                "{refusal:?}: {happened}, {advice}"
            );
        }
    }
}

#[test]
fn a_path_is_kept_short_and_without_secrets() {
    let of = |path: &str| refused(path, Reason::Told).path;
    assert_eq!(of("/v1/fsk_test_abc/x/SK-12/y"), "/v1/…/x/…/y");
    for escaped in [
        "sk%2D418e",
        "%73k-418e",
        "fsk%5Ftest_abc",
        "FSK%5ftest_abc",
        "%53%4B%2d418e",
        "sk%252D418e",
        "x%3Fa=%25%37%33k-1",
    ] {
        assert_eq!(of(&format!("/v1/{escaped}/x")), "/v1/…/x", "{escaped}");
    }
    for plain in ["/v1/orders%20of%2Facme/50%/%zz/%4", "/v1/caf%C3%A9/%"] {
        assert_eq!(of(plain), plain, "what hides nothing is kept as it came");
    }
    let long = of(&"/é".repeat(1000));
    assert!(long.len() <= LONGEST_PATH && long.starts_with("/é/é"));
    assert_eq!(of(""), "");
}
