"""Generated protocol buffer code, in a folder of its own so that linters and readers can leave it out. README.md tells how it is made."""
