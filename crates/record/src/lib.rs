//! Rows on disk: schema, store, resume, provenance.
