//! The clients of an environment, in memory, for everything that only reads.

use std::collections::HashMap;
use std::sync::Arc;

use fuuffy_domain::{Client, ClientId, ClientSlot, ClientStatus, SecretDigest};
use parking_lot::RwLock;

use crate::{Part, PartOf};

/// All clients. A reader gets a whole client as of one deed; only a backend changes it.
#[derive(Default)]
pub struct Directory {
    clients: RwLock<Clients>,
}

#[derive(Default)]
struct Clients {
    by_slot: Vec<Arc<Client>>,
    by_id: HashMap<ClientId, ClientSlot>,
    /// By the beginnings of its secrets' keyed digests.
    by_secret: HashMap<[u8; 8], ClientSlot>,
}

impl Directory {
    /// The client with this id, unless deleted.
    #[must_use]
    pub fn find(&self, id: &ClientId) -> Option<Arc<Client>> {
        let clients = self.clients.read();
        let slot = clients.by_id.get(id)?;
        clients.by_slot.get(slot.0 as usize).cloned()
    }

    /// The client that has, or had, a secret with one of these digests, where nobody said whose it is. Only the
    /// beginning of a digest was looked at: nothing is proven by that.
    #[must_use]
    pub fn find_by_secret(&self, digests: &[SecretDigest]) -> Option<Arc<Client>> {
        let clients = self.clients.read();
        let slot = digests.iter().find_map(|digest| clients.by_secret.get(&beginning(digest)))?;
        clients.by_slot.get(slot.0 as usize).cloned()
    }

    /// The client in this slot, deleted ones included.
    #[must_use]
    pub fn get(&self, slot: ClientSlot) -> Option<Arc<Client>> {
        self.clients.read().by_slot.get(slot.0 as usize).cloned()
    }

    /// A part of the clients that are not deleted, oldest first, and how many there are. The first part costs
    /// the same however many there are.
    #[must_use]
    pub fn list(&self, part: PartOf) -> Part<Arc<Client>> {
        let clients = self.clients.read();
        let live = clients.by_slot.iter().filter(|client| client.status != ClientStatus::Deleted);
        Part { items: live.skip(part.skip).take(part.take).cloned().collect(), total: clients.by_id.len() }
    }

    /// Those of the clients that are not deleted for which `wanted` holds.
    pub fn filter(&self, wanted: impl Fn(&Client) -> bool) -> Vec<Arc<Client>> {
        let clients = self.clients.read();
        let live = clients.by_slot.iter().filter(|client| client.status != ClientStatus::Deleted);
        live.filter(|client| wanted(client)).cloned().collect()
    }

    /// How many clients are not deleted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.read().by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slot that the next new client gets.
    pub(crate) fn next_slot(&self) -> ClientSlot {
        ClientSlot(u32::try_from(self.clients.read().by_slot.len()).unwrap_or(u32::MAX))
    }

    /// Puts a client into its slot: the next one, or the one it has.
    pub(crate) fn put(&self, client: Arc<Client>) {
        let mut clients = self.clients.write();
        if client.status == ClientStatus::Deleted {
            clients.by_id.remove(&client.id);
        } else {
            clients.by_id.insert(client.id.clone(), client.slot);
        }
        let slot = client.slot.0 as usize;
        clients.know_secrets(&client);
        if slot == clients.by_slot.len() {
            clients.by_slot.push(client);
        } else if let Some(place) = clients.by_slot.get_mut(slot) {
            *place = client;
        }
    }
}

impl Clients {
    /// Learns by which secrets a client is found, and forgets those that it has no more. Where none is another, as when
    /// one was used, nothing is to do.
    fn know_secrets(&mut self, client: &Client) {
        let known = self.by_slot.get(client.slot.0 as usize).map(Arc::clone);
        let known = known.as_ref().map_or(&[][..], |known| &known.secrets[..]);
        if known.iter().map(|it| it.digest.bytes).eq(client.secrets.iter().map(|it| it.digest.bytes)) {
            return;
        }
        for secret in known {
            self.by_secret.remove(&beginning(&secret.digest));
        }
        for secret in &client.secrets {
            self.by_secret.insert(beginning(&secret.digest), client.slot);
        }
    }
}

fn beginning(digest: &SecretDigest) -> [u8; 8] {
    let mut beginning = [0; 8];
    beginning.copy_from_slice(&digest.bytes[..8]);
    beginning
}
