"""How fast the engine streams: processes that run one network in different ways, and what they measured."""
