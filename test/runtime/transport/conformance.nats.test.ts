import { transportConformance } from '../../conformance/transport.ts';
import { jetStreamMaker } from './orders-world.ts';

transportConformance('JetStream', jetStreamMaker());
