//! The client against a scripted server on a real socket, by a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod beneath;
mod calls;
mod certificates;
mod credentials;
mod gates;
mod gnome_keyring;
mod https;
mod keyring;
mod nonces;
mod openbao;
mod pace;
mod place;
mod refresh;
mod rotation;
mod tokens;
mod vault;
mod vault_answers;
