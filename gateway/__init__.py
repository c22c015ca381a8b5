"""The urgent-report gateway (紧急信息报送网关)."""

__version__ = "0.1.0"
