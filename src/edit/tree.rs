//! A JSON text as a tree of values, over its tokens.
