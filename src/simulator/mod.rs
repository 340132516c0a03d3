//! A RingCentral account of our own.
