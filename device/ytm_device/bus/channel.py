"""Newest reflection wins: conflated ZeroMQ publish/subscribe between the three services."""
