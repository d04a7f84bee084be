"""What the fine-tuning scripts share."""
