"""Fine-tuned models on new text: readers and writers of documents, annotators, answers."""
