//! Plans and measures any architecture on any task, and names neither.
