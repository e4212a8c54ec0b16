"""Search engines and files that documents are delivered to: one `tasks.feeding.ports.Sink` each."""
