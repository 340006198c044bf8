//! The traits and vocabulary of seqbench: architecture, task, state, batch, parameters, seeds, errors.
