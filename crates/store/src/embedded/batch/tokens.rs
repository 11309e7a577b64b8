//! Tokens in a transaction: recorded, found and revoked.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use fuuffy_domain::{
    AuditEvent, Cause, ClientSlot, ClientStatus, LastUse, ScopeSet, SecretId, TokenDigest, TokenEntry,
};
use rusqlite::{OptionalExtension as _, params};

use super::{Batch, Fault, MAX_SCOPE_SETS, Use};
use crate::{IndexedToken, ListedToken, NewToken, SecretUse, StoreError, TokenName};

impl Batch<'_> {
    /// A token that is still remembered: its number, its digest, and what is known of it.
    pub(in crate::embedded) fn known_token(
        &self,
        which: &TokenName,
    ) -> rusqlite::Result<Option<(i64, TokenDigest, TokenEntry)>> {
        let (number, digests) = match which {
            TokenName::Digests(digests) => (0, digests.clone()),
            TokenName::Number(number) => {
                let mut statement = self.connection.prepare_cached("SELECT digest FROM tokens WHERE seq = ?1")?;
                let digest = statement.query_row([number], |row| row.get::<_, TokenDigest>(0)).optional()?;
                (*number, digest.into_iter().collect())
            }
        };
        Ok(digests.iter().find_map(|digest| Some((number, *digest, self.memory.tokens.find(digest)?))))
    }

    /// Revokes one token, found by memory or by its number.
    pub(in crate::embedded) fn revoke_token(
        &mut self,
        cause: &Cause,
        which: &TokenName,
    ) -> Result<Option<ListedToken>, Fault> {
        let Some((number, digest, entry)) = self.known_token(which)? else {
            return Ok(None);
        };
        let Some(client) = self.get(entry.client) else {
            return Ok(None);
        };
        let (expires_at, scope) = (entry.expires_at, entry.scope);
        if entry.generation != TokenEntry::REVOKED && !self.revoked.contains(&digest) {
            self.connection
                .prepare_cached("INSERT OR IGNORE INTO revoked_tokens (expires_at, digest) VALUES (?1, ?2)")?
                .execute(params![expires_at.unix_millis(), digest])?;
            self.audit(cause, &AuditEvent::TokenRevoked { client_id: client.id.clone(), expires_at })?;
            self.revoked.push(digest);
        }
        Ok(Some(ListedToken { number, client: entry.client, issued_at: None, expires_at, scope }))
    }

    pub(in crate::embedded) fn insert_token(&mut self, token: &NewToken) -> Result<(), Fault> {
        let granted_to = token.grant.client();
        let is_current = self.get(granted_to.slot).is_some_and(|client| {
            client.status == ClientStatus::Active
                && client.generation == granted_to.generation
                && token.grant.is_still_proven(&client)
                && !token.grant.secret().is_some_and(|secret| client.is_quarantined(secret))
        });
        if !is_current {
            return Err(Fault::Refused(StoreError::Superseded));
        }
        self.check_key(token.key)?;
        let scope = Arc::new(token.grant.scope().clone());
        // Every subset of a client's scopes may be asked for; memory must not grow with all of them.
        if self.standing.scopes.len() >= MAX_SCOPE_SETS && !self.standing.scopes.contains_key(&scope) {
            return Err(Fault::Refused(StoreError::TooManyScopes));
        }
        let scope_id = self.intern(&scope)?;
        let expires_at = token.issued_at.after(token.grant.lifetime().duration());
        let binding = token.grant.binding().copied();
        self.connection
            .prepare_cached(
                "INSERT INTO tokens (seq, digest, client, generation, scope, key, issued_at, expires_at, binding)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                *self.standing.next_seq,
                token.digest,
                granted_to.slot.0,
                granted_to.generation,
                scope_id,
                token.key.0,
                token.issued_at.unix_millis(),
                expires_at.unix_millis(),
                binding.map(|binding| binding.to_bytes()),
            ])?;
        *self.standing.next_seq += 1;
        self.tokens.push(IndexedToken {
            digest: token.digest,
            client: granted_to.slot,
            generation: granted_to.generation,
            scope,
            issued_at: token.issued_at,
            expires_at,
            binding,
        });
        self.issued_at.push(token.issued_at);
        let last = LastUse { at: token.issued_at, from: token.from, agent: token.agent.clone() };
        // The use of a key was recorded with its assertion.
        if let Some(secret) = token.grant.secret() {
            let secret = (granted_to.slot, secret.clone());
            self.use_secret(secret, Use { count: 1, last, rekeyed: token.grant.rekeyed() });
        }
        Ok(())
    }

    /// A use without a token.
    pub(in crate::embedded) fn note_use(&mut self, used: &SecretUse) {
        let SecretUse { client, last } = used;
        if let Some(secret) = client.secret() {
            let secret = (client.client().slot, secret.clone());
            self.use_secret(secret, Use { count: 0, last: last.clone(), rekeyed: client.rekeyed() });
        }
    }

    fn use_secret(&mut self, secret: (ClientSlot, SecretId), one: Use) {
        let Use { count, last, rekeyed } = one;
        let rekeyed = rekeyed.filter(|digest| !self.standing.closed_keys.contains(&digest.key));
        match self.uses.entry(secret) {
            Entry::Vacant(place) => drop(place.insert(Use { count, last, rekeyed })),
            Entry::Occupied(used) => {
                let used = used.into_mut();
                used.count += count;
                used.rekeyed = [used.rekeyed, rekeyed].into_iter().flatten().max_by_key(|digest| digest.key);
                if last.at >= used.last.at {
                    used.last = last;
                }
            }
        }
    }

    pub(super) fn intern(&mut self, scope: &Arc<ScopeSet>) -> rusqlite::Result<i64> {
        if let Some(id) = self.standing.scopes.get(scope) {
            return Ok(*id);
        }
        self.connection.prepare_cached("INSERT INTO scopes (scope) VALUES (?1)")?.execute([scope.to_string()])?;
        let id = self.connection.last_insert_rowid();
        self.standing.scopes.insert(Arc::clone(scope), id);
        Ok(id)
    }
}
