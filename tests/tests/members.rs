//! Members of every kind: one contract for pod servers, SPARQL endpoints, plain Solid pods and event streams, hostile ones of each
//! kind, and what each kind is bound to.

mod contract;
mod hostile;
mod pods;
mod streams;
mod weight;
