"""The whole way on generated clicks: a log with planted bias in, a page with the outcome out."""

from ultr.demo.config import DemoConfig
from ultr.demo.run import demo

__all__ = ["DemoConfig", "demo"]
