"""What the work is: records, ports, errors, and the way of an image from reference to committed sidecar."""
