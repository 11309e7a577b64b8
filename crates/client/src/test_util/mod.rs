//! What a test needs: a server that answers as the test says, on a real socket, and a clock that the test
//! moves.

mod clock;
mod server;

pub use clock::ManualClock;
pub use server::{Answer, Received, ScriptedServer};
