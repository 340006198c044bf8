//! Compares sequence architectures: long-dependency accuracy, gradient norms, throughput against length.
