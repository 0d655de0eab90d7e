"""What proxies may lead to: services, what is behind them, and which of them one proxy knows."""
