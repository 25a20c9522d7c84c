//! The desktop console: a window on this computer's node.
//!
//! It is a face of `lockstep-node`, as the command is: it asks the node and shows the answer. What always
//! holds here: the page gets no more than the commands named in `build.rs`; a command is arguments in, one
//! call of the node, answer out; nothing that a row contains is logged. Deliberately not here: any rule of
//! the sync, any SQL, any secret.

mod commands;
mod error;
mod node;
mod overview;
#[cfg(test)]
mod types;
mod view;

use node::HomeNode;

/// Opens the window and runs until it is closed.
///
/// # Panics
///
/// When no window can be opened at all (no display, no WebKit): there is nobody to show an error to.
pub fn run() {
    tauri::Builder::default()
        .manage(HomeNode::of_this_user())
        .invoke_handler(tauri::generate_handler![commands::status, commands::sync_now])
        .run(tauri::generate_context!())
        .expect("a window can be opened");
}
