"""The process and the outside world: settings, runtime, encoders, captioners, images, storage, command line."""
