//! What the user set: kvscope's own file, and the contexts of the nats CLI.
