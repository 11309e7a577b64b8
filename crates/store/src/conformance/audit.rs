//! The audit log: every change is in the chain, and the chain is signed.

use fuuffy_domain::{AUDIT_START, AuditEvent, ClientChange, ClientPatch, ScopeSet, Timestamp, audit_hash};

use super::{Backend, Maker, NOW, added, audit, cause, changed, secret_changed};
use crate::{AuditQuery, AuditRow, Lost, PartOf, SecretChange, TokenName};

pub(super) async fn every_change_is_in_the_chain(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    for change in [ClientChange::Suspend, ClientChange::Suspend, ClientChange::Resume, ClientChange::RevokeTokens] {
        changed(&*store, &client.id, change).await.expect("the client");
    }
    added(&*store, &client.id, maker.secret().1).await;
    secret_changed(&*store, &client, &client.secrets[0].id, SecretChange::Retire).await.expect("the secret");
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    let refused = AuditEvent::Refused { code: "not_found".to_owned(), asked: "GET /".to_owned(), times: 1 };
    store.note(cause(), refused).await.expect("done");
    changed(&*store, &client.id, ClientChange::Delete).await.expect("the client");
    let (rows, mut previous) = (audit(&*store).await, AUDIT_START);
    for (row, sequence) in rows.iter().zip(1..) {
        assert_eq!(row.sequence, sequence);
        assert_eq!(row.hash, audit_hash(&previous, &row.record), "{}", row.record);
        previous = row.hash;
    }
    let deed = |row: &AuditRow| {
        row.record.split(r#""deed":""#).nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned)
    };
    let deeds: Vec<String> = rows.iter().filter_map(deed).collect();
    let expected = [
        "client.created",
        "client.suspended",
        "client.resumed",
        "client.tokens_revoked",
        "secret.added",
        "secret.retired",
        "refused",
        "client.deleted",
    ];
    assert_eq!(deeds, expected, "what changes nothing is not written down");
    let wanted = AuditQuery {
        client: Some(client.id.clone()),
        deeds: vec!["client.suspended".to_owned(), "refused".to_owned()],
        newest_first: true,
        part: PartOf { skip: 0, take: 10 },
    };
    assert_eq!(store.audit(wanted).await.expect("the audit log").total, 1);
}

pub(super) async fn a_checkpoint_says_how_the_chain_stands(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let empty = store.checkpoint(NOW).await.expect("done").state;
    assert_eq!((empty.sequence, empty.hash), (0, AUDIT_START));
    maker.client(&*store).await;
    maker.client(&*store).await;
    let signed = store.checkpoint(NOW).await.expect("done").state;
    let rows = audit(&*store).await;
    assert_eq!((signed.sequence, signed.hash, signed.at), (2, rows[1].hash, NOW));
    store.close().await.expect("closed");
    drop(store);
    let again = backend.open().checkpoint(NOW).await.expect("done").state;
    assert_eq!(again, signed, "after a restart, too");
}

pub(super) async fn a_deed_is_named_only_for_what_it_did(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let sequence = |row: Option<AuditRow>| row.map(|row| row.sequence);
    let behind = async |lost: Lost| sequence(store.deed_behind(client.id.clone(), lost).await.expect("the audit log"));
    let patch = |patch: ClientPatch| ClientChange::Patch(patch);
    let name = |name: &str| patch(ClientPatch { name: Some(name.to_owned()), ..ClientPatch::default() });
    let scope = patch(ClientPatch { scopes: ScopeSet::parse("a").ok(), ..ClientPatch::default() });
    for (change, sequence) in [
        (ClientChange::RevokeTokens, 2),
        (name("Bolt"), 3),
        (scope, 4),
        (ClientChange::Suspend, 5),
        (ClientChange::RevokeTokens, 6),
        (ClientChange::Resume, 7),
        (ClientChange::Suspend, 8),
        (ClientChange::Delete, 9),
    ] {
        changed(&*store, &client.id, change).await;
        assert_eq!(audit(&*store).await.len(), sequence);
    }
    for (generation, sequence) in [(0, 2), (1, 4), (2, 5), (3, 6), (4, 8), (5, 9)] {
        assert_eq!(behind(Lost::Tokens { generation }).await, Some(sequence), "the tokens of generation {generation}");
    }
    assert_eq!(behind(Lost::Tokens { generation: 6 }).await, None);
    for (generation, sequence) in [(2, None), (3, Some(5)), (4, Some(5)), (5, Some(8)), (6, Some(9))] {
        assert_eq!(behind(Lost::Standing { generation }).await, sequence, "found so in generation {generation}");
    }
    let (client, clear) = maker.client(&*store).await;
    let behind = async |lost: Lost| sequence(store.deed_behind(client.id.clone(), lost).await.expect("the audit log"));
    let other = maker.secret().1;
    let id = other.id.clone();
    added(&*store, &client.id, other).await;
    secret_changed(&*store, &client, &id, SecretChange::Retire).await.expect("the secret");
    let first = client.secrets[0].id.clone();
    assert_eq!(behind(Lost::Secret(id.clone())).await, Some(12));
    assert_eq!(behind(Lost::Secret(first.clone())).await, None, "it works");
    let token = |hours: i64| {
        let mut token = maker.token(maker.grant(&client, &clear));
        token.issued_at = Timestamp::from_unix_millis(NOW.unix_millis() + hours * 3_600_000);
        token
    };
    let (early, late, twin) = (token(0), token(1), token(1));
    let digests = [early.digest, late.digest, twin.digest];
    for token in [early, late, twin] {
        store.issue_token(token).await.expect("issued");
    }
    let lives = [1, 2].map(|hours| Timestamp::from_unix_millis(NOW.unix_millis() + hours * 3_600_000));
    for (digest, sequence) in digests.into_iter().zip([Some(13), Some(14), None]) {
        store.revoke_token(cause(), TokenName::Digests(vec![digest])).await.expect("done").expect("a token");
        let expires_at = if sequence == Some(13) { lives[0] } else { lives[1] };
        assert_eq!(behind(Lost::Token { expires_at }).await, sequence, "of two that expire at once neither is named");
    }
    assert_eq!(behind(Lost::Token { expires_at: lives[0] }).await, Some(13));
    secret_changed(&*store, &client, &first, SecretChange::Retire).await.expect("the secret");
    assert_eq!(behind(Lost::Secret(id)).await, Some(12));
    assert_eq!(behind(Lost::Secret(first)).await, Some(16));
}
