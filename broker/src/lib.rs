//! A broker that finds data, carries agreements and answers queries over many owners
