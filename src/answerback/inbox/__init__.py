"""An inbox for callbacks: a receiver that every tenant has without setting one up, to look at what comes."""
