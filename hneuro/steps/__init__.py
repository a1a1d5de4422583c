"""The steps of `hneuro.pipeline.run`: they feed the stages from the store and keep the funnel. No science here."""
