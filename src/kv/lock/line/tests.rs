//! What one process does at one lock, step by step.
