//! Linear, norm, MLP, embedding: parameters joined to operations.
