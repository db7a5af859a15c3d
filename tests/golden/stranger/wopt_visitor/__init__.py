"""Components that a third party wrote against the public interface of wopt-core 0.1.0."""
