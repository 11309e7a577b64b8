//! The clients of an environment, in memory, for everything that only reads.

use std::collections::HashMap;
use std::sync::Arc;

use fuuffy_domain::{Client, ClientId, ClientSlot, ClientStatus};
use parking_lot::RwLock;

/// All clients. A reader gets a whole client as of one deed; only a backend changes it.
#[derive(Default)]
pub struct Directory {
    clients: RwLock<Clients>,
}

#[derive(Default)]
struct Clients {
    by_slot: Vec<Arc<Client>>,
    by_id: HashMap<ClientId, ClientSlot>,
}

impl Directory {
    /// The client with this id, unless deleted.
    #[must_use]
    pub fn find(&self, id: &ClientId) -> Option<Arc<Client>> {
        let clients = self.clients.read();
        let slot = clients.by_id.get(id)?;
        clients.by_slot.get(slot.0 as usize).cloned()
    }

    /// The client in this slot, deleted ones included.
    #[must_use]
    pub fn get(&self, slot: ClientSlot) -> Option<Arc<Client>> {
        self.clients.read().by_slot.get(slot.0 as usize).cloned()
    }

    /// All clients that are not deleted, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Client>> {
        let clients = self.clients.read();
        clients.by_slot.iter().filter(|client| client.status != ClientStatus::Deleted).cloned().collect()
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
        if slot == clients.by_slot.len() {
            clients.by_slot.push(client);
        } else if let Some(place) = clients.by_slot.get_mut(slot) {
            *place = client;
        }
    }
}
