//! Every way in which a save can end.
