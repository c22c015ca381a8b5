"""What passes between gateways of different levels."""
