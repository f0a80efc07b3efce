"""State-space form of the twin: state, parameters, treatment, observations and the chances between them."""
