"""Values and decisions, one module for each idea. Pure: no I/O, clock, randomness, environment, logging or asyncio, so that every
decision can be tested and repeated. Nothing is imported here: users take the module that they need.
"""
