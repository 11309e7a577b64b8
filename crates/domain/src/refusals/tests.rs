//! Every class has a place of its own, under the code of its answer.

use fuuffy_protocol::{ProofFault, ProofPlace, Refusal, RequestFault, TokenFault, TokenType};

use super::{REFUSAL_CODES, RefusalCounts};

#[test]
fn every_refusal_counts_under_the_code_of_its_answer() {
    let all = [
        Refusal::InvalidRequest(RequestFault::ContentType),
        Refusal::UnsupportedGrantType,
        Refusal::InvalidScope,
        Refusal::InvalidClient(None),
        Refusal::UnauthorizedClient,
        Refusal::MissingToken,
        Refusal::InvalidToken(TokenFault::Expired),
        Refusal::InsufficientScope(TokenType::Bearer, String::new()),
        Refusal::NotFound,
        Refusal::MethodNotAllowed("GET"),
        Refusal::PayloadTooLarge,
        Refusal::UriTooLong,
        Refusal::HeadersTooLarge,
        Refusal::MisdirectedRequest,
        Refusal::RateLimitExceeded(1),
        Refusal::BadGateway,
        Refusal::GatewayTimeout,
        Refusal::ServiceUnavailable(1),
        Refusal::TooManySecrets,
        Refusal::InvalidTarget,
        Refusal::InvalidProof(ProofPlace::Api, ProofFault::Missing),
        Refusal::UseNonce(ProofPlace::TokenEndpoint, String::new()),
    ];
    assert_eq!(all.len(), REFUSAL_CODES.len());
    for refusal in all {
        let counts = RefusalCounts::default();
        counts.note(&refusal);
        assert_eq!(counts.take().collect::<Vec<_>>(), [(refusal.code(), 1)]);
        assert_eq!(counts.take().count(), 0, "what was taken is gone");
        counts.put_back(refusal.code(), 3);
        assert_eq!(counts.take().collect::<Vec<_>>(), [(refusal.code(), 3)]);
        let all: Vec<_> = counts.totals().filter(|(_, times)| *times > 0).collect();
        assert_eq!(all, [(refusal.code(), 1)], "what was taken, or put back, was counted once");
    }
}
