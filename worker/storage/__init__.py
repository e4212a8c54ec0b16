"""Stores: where images and sidecars lie. One file per technology, all under the contract of `tasks.ports.Store`."""
