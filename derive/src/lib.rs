//! Derive macros for kvscope's typed values.
