"""The cluster's loop as a library: what the watches show goes through `plan`, and what it decides is carried out."""
