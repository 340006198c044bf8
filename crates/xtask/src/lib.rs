//! Repository checks as tests: what the house rules say of manifests, sources and documents. There is nothing to call
//! here; the checks stand in `tests/`, each a pure function over file contents with a test that shows it can fail.
