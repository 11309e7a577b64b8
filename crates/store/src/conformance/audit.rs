//! The audit log: every change is in the chain, and the chain is signed.

use fuuffy_domain::{AUDIT_START, AuditEvent, ClientChange, audit_hash};

use super::{Backend, Maker, NOW, added, audit, cause, changed, secret_changed};
use crate::{AuditQuery, AuditRow, PartOf, SecretChange};

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
