"""Where state lives and brokers run: one package for each platform, all behind the ports of `akri.ports`."""
